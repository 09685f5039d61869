"""A FastAPI app on Lambda as one writes it without a thought for its cold start.

FastAPI, Mangum, boto3, pydantic-settings, loguru, PyJWT and Argon2, all at the top; as many routes
as our app has, each with a body and a view of its own. One of them reads one item of the table.
"""

import os
from typing import Annotated, Any

import argon2
import boto3
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from loguru import logger
from mangum import Mangum
from pydantic import BaseModel, EmailStr, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="PASSERINE_")

    table_name: str
    public_url: str = ""
    log_level: str = "INFO"


settings = Settings.model_validate({})
table = boto3.resource("dynamodb").Table(settings.table_name)
hasher = argon2.PasswordHasher()
algorithms: dict[str, Any] = {"RS256": jwt.algorithms.RSAAlgorithm, "key": rsa.RSAPublicKey}
router = APIRouter(prefix="/v1/applications")


def caller(request: Request) -> str:
    return request.headers.get("x-api-key", "")


class Problem(BaseModel):
    code: str
    detail: str


class ApplicationView(BaseModel):
    id: str
    name: str
    created: str


@router.get("/{application_id}", responses={404: {"model": Problem}})
def read_application(application_id: str, key: Annotated[str, Depends(caller)]) -> ApplicationView:
    name = {"pk": f"app#{application_id}", "sk": "application"}
    item: dict[str, Any] | None = table.get_item(Key=name, ConsistentRead=True).get("Item")
    if item is None:
        raise HTTPException(404)
    logger.info("read {}", application_id)
    return ApplicationView(id=application_id, name=str(item["pk"]), created=str(item["sk"]))


def _more(number: int) -> None:
    """One more route, with models of its own."""

    class Body(BaseModel):
        name: str = Field(min_length=1, max_length=100)
        email: EmailStr
        lifetime: int = Field(60, ge=1)
        origins: list[str] = []
        metadata: dict[str, Any] = {}

    class View(BaseModel):
        id: str
        name: str
        email: EmailStr
        created: str
        metadata: dict[str, Any]

    @router.post(f"/{{application_id}}/things{number}", responses={404: {"model": Problem}})
    def create(application_id: str, body: Body, key: Annotated[str, Depends(caller)]) -> View:
        return View(id=application_id, created="", **body.model_dump())


for number in range(int(os.environ["BENCH_ROUTES"]) - 1):
    _more(number)

app = FastAPI(title="Naive")
app.include_router(router)
handler = Mangum(app, lifespan="off")
