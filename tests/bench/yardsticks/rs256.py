"""A FastAPI app that does nothing but verify an RS256 access token with PyJWT."""

import os
from typing import Annotated

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from fastapi import FastAPI, Header

app = FastAPI()
key = load_pem_public_key(os.environ["BENCH_PUBLIC_KEY"].encode())


@app.get("/me")
async def me(authorization: Annotated[str, Header()]) -> dict[str, str]:
    token = authorization.removeprefix("Bearer ")
    claims = jwt.decode(token, key, algorithms=["RS256"], audience="bench")  # type: ignore[arg-type] # its union names the same class
    return {"id": claims["sub"]}
