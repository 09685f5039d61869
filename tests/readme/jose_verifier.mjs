// Verifies access tokens knowing an issuer alone: `node jose_verifier.mjs ISSUER AUDIENCE TOKEN…`
// prints a line for each token: its subject, or the code of jose's refusal.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.env.PASSERINE_TEST_NODE_MODULES + "/");
const { createRemoteJWKSet, jwtVerify } = await import(pathToFileURL(require.resolve("jose")));

const [issuer, audience, ...tokens] = process.argv.slice(2);
const answer = await fetch(`${issuer}/.well-known/openid-configuration`);
const configuration = await answer.json();
const keys = createRemoteJWKSet(new URL(configuration.jwks_uri));
for (const token of tokens) {
  try {
    const { payload } = await jwtVerify(token, keys, { issuer, audience, typ: "at+jwt" });
    console.log(payload.sub);
  } catch (error) {
    console.log(error.code);
  }
}
