"""The application: its addresses, and what stands behind each."""

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, File, Request, UploadFile, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

from sign_keras.confidence import SIGN_THRESHOLD
from sign_keras.inference.answer_content import answer_content
from sign_keras.inference.info import installed_version
from sign_keras.inference.predictor import Prediction, extraction_spec
from sign_keras.serving.access import Access
from sign_keras.serving.door import Door
from sign_keras.serving.engine import Engine, OverloadedError
from sign_keras.serving.gate import Gate
from sign_keras.serving.live import Services
from sign_keras.serving.messages import Health, Labels, Problem, SentenceAnswer, SignAnswer
from sign_keras.serving.metrics import ServerMetrics
from sign_keras.serving.readers import Readers
from sign_keras.serving.reading import warm_up
from sign_keras.serving.settings import ServeSettings
from sign_keras.serving.uploads import Uploads

STATIC = Path(__file__).parent / "static"
WARM_UP_SECONDS = 120.0
PROBLEMS = {
    400: "The body is no form with a file",
    401: "The token is missing or wrong",
    403: "The request comes from a page of another server",
    408: "The body takes too long to arrive",
    413: "The body is too large",
    415: "The file is named as something else than a video",
    422: "The video cannot be read, or is beyond the limits; or the form has no file",
    429: "Too many videos; see Retry-After",
}
DESCRIPTION = """Names the signs in videos, and in streams of pictures or landmarks (WebSocket `/stream`, which this
page cannot show: `docs/serving.md` describes its messages). Every problem is `{"detail": reason}`."""


def create_app(engine: Engine, settings: ServeSettings, token: str | None = None) -> FastAPI:
    """The server's application.

    Args:
        engine: the model.
        settings: limits.
        token: that clients must know; None where everybody may come in.
    """
    metrics, access = ServerMetrics(), Access(token, settings.allowed_origins)
    upload_readers = Readers(settings.upload.readers, settings.upload.waiting)
    cameras = Readers(settings.live.cameras)
    spec = extraction_spec(engine.artefact.clip_spec, engine.artefact.input_names)
    uploads = Uploads(spec, settings.upload, upload_readers)
    door = Door(Services(engine, cameras, metrics, settings.live), access)
    started = time.monotonic()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if settings.live.cameras:
            async with cameras.borrow() as reader:
                await reader.call(WARM_UP_SECONDS, warm_up)
        yield
        for readers in (cameras, upload_readers):
            await readers.stop()
        engine.stop()

    app = FastAPIOffline(
        redoc_url=None,
        title=f"sign_keras: {engine.artefact.name}",
        description=DESCRIPTION,
        version=installed_version(),
        lifespan=lifespan,
    )
    app.add_middleware(Gate, access=access, settings=settings.upload, metrics=metrics)
    if settings.allowed_origins:  # around the gate: browsers ask for permission without a token
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.allowed_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization"],
        )
    _add_errors(app)
    _add_page(app)
    # Tells the documentation's page to ask for the token; the gate is what checks it.
    secured = [Depends(HTTPBearer(auto_error=False))] if access.needs_token else []
    answer_model: Any = SignAnswer if engine.artefact.task == "isolated" else SentenceAnswer

    @app.post("/predict", response_model=answer_model, responses=_problems(*PROBLEMS), dependencies=secured)
    async def predict(
        file: Annotated[UploadFile, File(description="a video, or an image of a static sign")],
    ) -> JSONResponse:
        """What `predict --json` says of the same file."""
        answer = await engine.answer(await uploads.read(file))
        accepted = answer.accepted if isinstance(answer, Prediction) else bool(answer.glosses)
        metrics.predictions.labels(str(accepted).lower()).inc()
        return JSONResponse(answer_content(answer))

    @app.get("/labels", responses=_problems(401), dependencies=secured)
    async def labels() -> Labels:
        """What the model can say."""
        artefact = engine.artefact
        return Labels(
            model=artefact.name,
            task=artefact.task,
            glosses=list(artefact.label_map.glosses),
            no_sign=artefact.no_sign,
            threshold=artefact.thresholds.get(SIGN_THRESHOLD),
        )

    @app.get("/health")
    async def health() -> Health:
        """That the server answers."""
        return Health(
            status="ok",
            model=engine.artefact.name,
            version=installed_version(),
            uptime_seconds=round(time.monotonic() - started, 3),
        )

    @app.get("/metrics", response_class=PlainTextResponse, responses=_problems(401), dependencies=secured)
    async def show_metrics() -> PlainTextResponse:
        """Counters in Prometheus' text format."""
        return PlainTextResponse(metrics.text(), media_type="text/plain; version=0.0.4")

    @app.websocket("/stream")
    async def stream(socket: WebSocket) -> None:
        await door.serve(socket)

    return app


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Problem, "description": PROBLEMS[status]} for status in statuses}


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"][1:]) or "body"
        detail = f"{where}: {fault['msg'][0].lower()}{fault['msg'][1:]}; expected a form with the video as its file"
        return JSONResponse({"detail": detail}, 422)

    @app.exception_handler(OverloadedError)
    async def overloaded(request: Request, error: OverloadedError) -> JSONResponse:
        return JSONResponse({"detail": "the server has more to do than it can; try again"}, 429)


def _add_page(app: FastAPI) -> None:
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    @app.get("/favicon.ico", include_in_schema=False)
    async def icon() -> FileResponse:
        return FileResponse(STATIC / "icon.svg", media_type="image/svg+xml")
