"""What a tool, prompt or resource may return besides plain values: content a model or a person sees."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

_IMAGE_TYPES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif", ".webp": "webp", ".svg": "svg+xml"}
_AUDIO_TYPES = {".wav": "wav", ".mp3": "mpeg", ".ogg": "ogg", ".flac": "flac", ".aac": "aac", ".m4a": "mp4"}


@dataclass(frozen=True, slots=True)
class Text:
    """A text block. `annotations` and `meta` are in wire form."""

    text: str
    annotations: Mapping[str, Any] | None = None
    meta: Mapping[str, Any] | None = None

    def wire(self) -> dict[str, Any]:
        """The block in wire form."""
        return _block({"type": "text", "text": self.text}, self.annotations, self.meta)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Media:
    data: bytes | None = None
    path: str | Path | None = None
    format: str | None = None
    annotations: Mapping[str, Any] | None = None
    meta: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if (self.data is None) == (self.path is None):
            msg = f"{type(self).__name__} takes either data or path"
            raise ValueError(msg)

    def _wire(self, kind: str, known: Mapping[str, str], default: str) -> dict[str, Any]:
        suffix = known.get(Path(self.path).suffix.lower()) if self.path is not None else default
        subtype = self.format.lower() if self.format else suffix
        mime_type = "application/octet-stream" if subtype is None else f"{kind}/{subtype}"
        block = {"type": kind, "data": _base64(_read(self.data, self.path)), "mimeType": mime_type}
        return _block(block, self.annotations, self.meta)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image(_Media):
    """An image from bytes or a file. `format` is "png", "jpeg", …; default by the file's suffix, else png."""

    def wire(self) -> dict[str, Any]:
        """The block in wire form; reads the file."""
        return self._wire("image", _IMAGE_TYPES, "png")


@dataclass(frozen=True, slots=True, kw_only=True)
class Audio(_Media):
    """A sound from bytes or a file. `format` is "wav", "mpeg", …; default by the file's suffix, else wav."""

    def wire(self) -> dict[str, Any]:
        """The block in wire form; reads the file."""
        return self._wire("audio", _AUDIO_TYPES, "wav")


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A document inside the result: text, bytes or a file, under a URI.

    Attributes:
        uri: What names it; for a resource function, default the URI that was read.
        text: Its text.
        data: Its bytes.
        path: A file to read as bytes.
        mime_type: Default text/plain for text, application/octet-stream otherwise.
    """

    uri: str | None = None
    text: str | None = None
    data: bytes | None = None
    path: str | Path | None = None
    mime_type: str | None = None
    meta: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if sum(source is not None for source in (self.text, self.data, self.path)) != 1:
            msg = "File takes one of text, data and path"
            raise ValueError(msg)

    def contents(self, uri: str | None = None, mime_type: str | None = None) -> dict[str, Any]:
        """The document in wire form, as `resources/read` answers it; `uri` and `mime_type` are defaults."""
        named = self.uri or uri
        if named is None:
            named = Path(self.path).resolve().as_uri() if self.path is not None else "file:///file"
        if self.text is not None:
            body = {"uri": named, "mimeType": self.mime_type or mime_type or "text/plain", "text": self.text}
        else:
            kind = self.mime_type or mime_type or "application/octet-stream"
            body = {"uri": named, "mimeType": kind, "blob": _base64(_read(self.data, self.path))}
        return body if self.meta is None else {**body, "_meta": dict(self.meta)}

    def wire(self) -> dict[str, Any]:
        """The block in wire form: an embedded resource."""
        return {"type": "resource", "resource": self.contents()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A pointer to a resource that the client may read."""

    uri: str
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    size: int | None = None
    annotations: Mapping[str, Any] | None = None
    meta: Mapping[str, Any] | None = None

    def wire(self) -> dict[str, Any]:
        """The block in wire form."""
        given = {
            "title": self.title,
            "description": self.description,
            "mimeType": self.mime_type,
            "size": self.size,
        }
        block: dict[str, Any] = {"type": "resource_link", "uri": self.uri, "name": self.name}
        block |= {key: value for key, value in given.items() if value is not None}
        return _block(block, self.annotations, self.meta)


Content: TypeAlias = Text | Image | Audio | File | Link
"""A block of a result."""

CONTENT_TYPES = (Text, Image, Audio, File, Link)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """A result put together by hand.

    Attributes:
        content: Blocks, strings or values for the model.
        structured: The structured content; checked where the tool declares a form with
            `Annotated[ToolResult, Form]`.
        is_error: The call failed, in the tool's own words.
        meta: The result's `_meta`.
    """

    content: Sequence[Any] = ()
    structured: Any = None
    is_error: bool = False
    meta: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class UserMessage:
    """A prompt's message in the user's name: text or content."""

    content: str | Content
    role: str = field(default="user", init=False)


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    """A prompt's message in the assistant's name: text or content."""

    content: str | Content
    role: str = field(default="assistant", init=False)


def _block(
    block: dict[str, Any], annotations: Mapping[str, Any] | None, meta: Mapping[str, Any] | None
) -> dict[str, Any]:
    if annotations is not None:
        block["annotations"] = dict(annotations)
    if meta is not None:
        block["_meta"] = dict(meta)
    return block


def _read(data: bytes | None, path: str | Path | None) -> bytes:
    return data if data is not None else Path(path or "").read_bytes()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
