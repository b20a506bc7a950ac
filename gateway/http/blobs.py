"""The routes about content that travels by reference. Content is addressed by its SHA-256; who knows it may read it."""

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import MediaTypeUnsupported, NotFound
from gateway.http.bodies import media_type_of, tenant_of
from gateway.http.contents import blob_response
from gateway.http.doors import doors_of
from gateway.http.openapi import IF_RANGE, RANGE, answers
from schemas.parts import BlobRef
from tensor_layer.errors import BlobTooLarge

router = APIRouter(tags=["blobs"])

_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@router.post(
    "/v1/blobs",
    summary="Upload content",
    description="The body is the content itself, of any size up to the attachment limit. Send the answer as a part's "
    "ref. The same content is the same blob.",
    status_code=201,
    responses=answers({201: BlobRef}),
    openapi_extra={"requestBody": {"required": True, "content": _BINARY}},
    response_model=None,
)
async def upload(request: Request) -> Response:
    """Stream the body into the object store."""
    tenant_of(request)
    doors, limit = doors_of(request), doors_of(request).limits.attachment_bytes
    if media_type_of(request) == "multipart/form-data":
        raise MediaTypeUnsupported(
            "a blob is the body itself, not a form", next_step="curl --data-binary @file …, or send forms to /v1/tasks"
        )
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise BlobTooLarge(f"the content is larger than {limit} bytes")
    ref = await doors.claim_check.store(request.stream())
    headers = {"Location": f"/v1/blobs/{ref.digest}"}
    return Response(ref.model_dump_json(), status_code=201, media_type="application/json", headers=headers)


@router.get(
    "/v1/blobs/{digest}",
    summary="Download content",
    responses={200: {"content": _BINARY}, 206: {"content": _BINARY}},
    openapi_extra={"parameters": [RANGE, IF_RANGE]},
    response_model=None,
)
async def download(request: Request, digest: str) -> Response:
    """The content, or the Range of it that is asked for."""
    tenant_of(request)
    try:
        ref = BlobRef(digest=digest, size_bytes=0)
    except ValidationError as error:
        raise NotFound(f"{digest!r:.100} is no digest", code="attachment_missing") from error
    headers = {"Content-Disposition": "attachment"}
    return await blob_response(request, ref, doors_of(request).blobs, "application/octet-stream", headers)
