"""JSON from strangers: typed, without duplicate keys, refused in a sentence."""

import json
from typing import Any, TypeVar

import msgspec

from linexport.serving._exchange import Refusal

T = TypeVar("T")


def decode(decoder: "msgspec.json.Decoder[T]", data: "bytes | msgspec.Raw", at: str = "$") -> T:
    """Parse JSON and check it against the decoder's type.

    Args:
        decoder: Of the type.
        data: The text.
        at: Where in the request it stands, as a JSON path.

    Raises:
        Refusal: 400, naming the place.
    """
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        text = str(error).replace("`$", f"`{at}")
        raise Refusal(400, f"The request is not as it should be: {text}; see /docs.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, f"The request's body is not valid JSON: {error}.") from error
    except RecursionError as error:
        raise Refusal(400, "The request's JSON is nested too deeply.") from error


def require_unique_keys(data: bytes, num_members: int) -> None:
    """Refuse an object that has a key twice, of which decoders silently drop one.

    Every member of an object has a colon, so if there are as many colons as members were kept, none
    was dropped. If there are more, either one was or a string holds a colon: then look closely.

    Args:
        data: Valid JSON.
        num_members: Of all its objects, as decoded.

    Raises:
        Refusal: 400, naming the key.
    """
    if data.count(b":") != num_members:
        json.loads(data, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise Refusal(400, f"The key '{twice}' occurs twice in one object; send it once.")
    return members
