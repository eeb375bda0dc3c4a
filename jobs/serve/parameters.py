"""The parameters of requests in OpenAI's form. A request for something that this server can't do gets an error."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from corpus.errors import did_you_mean
from jobs.assistant.conversation import BadConversation, messages_of
from jobs.model.generate import Sampling
from jobs.serve.worker import ROWS, Request
from jobs.web.requests import BadRequest

MOST_TOKENS = 4096
MOST_SHOWN = 20
MOST_STOPS = 4

_FIXED: dict[str, Any] = {
    "best_of": 1,
    "echo": False,
    "frequency_penalty": 0,
    "logit_bias": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "response_format": {"type": "text"},
    "suffix": "",
    "top_p": 1,
}
"""Parameters that may have only this value."""
_IGNORED = {"metadata", "prompt_cache_key", "safety_identifier", "service_tier", "store", "user"}
"""Parameters that are accepted but have no effect on an answer."""
_BOTH = {"max_tokens", "model", "n", "seed", "stop", "stream", "stream_options", "temperature", "top_k"}
_TEXT = {"prompt", "logprobs"} | _BOTH
_CHAT = {"messages", "max_completion_tokens", "tools", "tool_choice"} | _BOTH


def completion(body: Mapping[str, Any]) -> Request:
    """Return a request to continue texts. Raises BadRequest."""
    given = _known(body, _TEXT)
    prompt = given.get("prompt", "")
    prompts = prompt if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else [prompt]
    for one in prompts:
        ids = isinstance(one, list) and all(isinstance(number, int) and number is not True for number in one)
        if not ids:
            text(one, "prompt")
    return _request("text", prompts, given, shown=_number(given, "logprobs", 0, MOST_SHOWN, 0))


def chat(body: Mapping[str, Any], has_tools: bool) -> Request:
    """Return a request to answer a conversation. Raises BadRequest."""
    given = _known(body, _CHAT)
    choice = given.get("tool_choice", "auto")
    if choice not in ("auto", "none"):
        raise BadRequest("`tool_choice` can only be `auto` or `none` here.", "tool_choice")
    kind = "chat" if choice == "none" else "calls" if argument_names(given) else "tools" if has_tools else "chat"
    try:
        messages = messages_of({"messages": given.get("messages")})
    except BadConversation as error:
        raise BadRequest(f"The conversation {error}.", "messages") from None
    given.setdefault("max_tokens", given.get("max_completion_tokens"))
    return _request(kind, [messages], given)


def argument_names(body: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of the client's tools with the name of each tool's argument. Raises BadRequest."""
    names = {}
    try:
        for tool in body.get("tools") or []:
            properties = [*tool["function"].get("parameters", {}).get("properties", {})]
            names[text(tool["function"]["name"], "tools")] = properties[0] if len(properties) == 1 else "input"
    except (LookupError, TypeError, AttributeError):
        raise BadRequest("`tools` is not a list of functions.", "tools") from None
    return names


def _known(body: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    """Return the parameters that are not null. Raises BadRequest for an unknown parameter."""
    for name, value in body.items():
        if name in _FIXED and value is not None and value != _FIXED[name]:
            raise BadRequest(f"`{name}` can only be {_FIXED[name]!r} here.", name)
        if name not in names | _IGNORED | {*_FIXED}:
            raise BadRequest(f"There is no such parameter. {did_you_mean(name[:40], names)}", name[:40])
    return {name: value for name, value in body.items() if value is not None}


def _request(kind: str, prompts: list[Any], given: Mapping[str, Any], shown: int = 0) -> Request:
    stop = given.get("stop", [])
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or len(stops) > MOST_STOPS or not all(text(one, "stop") for one in stops):
        raise BadRequest(f"`stop` is neither a text nor a list of at most {MOST_STOPS} texts.", "stop")
    if not isinstance(given.get("stream", False), bool):
        raise BadRequest("`stream` is not true or false.", "stream")
    if not isinstance(given.get("stream_options", {}), dict):
        raise BadRequest("`stream_options` is not an object.", "stream_options")
    seed = _number(given, "seed", -(2**63), 2**64 - 1, secrets.randbits(63))
    top_k = _number(given, "top_k", 0, 1 << 31, 0)
    temperature = float(_number(given, "temperature", 0, 100, 1, (int, float)))
    sampling = Sampling(int(_number(given, "max_tokens", 1, MOST_TOKENS, 200)), temperature, int(top_k), int(seed))
    request = Request(kind, prompts, sampling, int(_number(given, "n", 1, ROWS, 1)), shown, stops)
    if request.choices > ROWS:
        raise BadRequest(f"There are more than {ROWS} choices: prompts times `n`.", "n")
    return request


def _number(given: Mapping[str, Any], name: str, least: int, most: int, otherwise: int, kinds: Any = int) -> Any:
    """Return a number. Raises BadRequest."""
    value = given.get(name)
    if value is None:
        return otherwise
    if not isinstance(value, kinds) or isinstance(value, bool) or not least <= value <= most:
        what = "a whole number" if kinds is int else "a number"
        raise BadRequest(f"`{name}` is not {what} from {least} to {most}.", name)
    return value


def text(value: Any, name: str) -> str:
    """Return a text. Raises BadRequest for anything else, and for half a surrogate pair."""
    try:
        value.encode()
    except (AttributeError, UnicodeEncodeError):
        raise BadRequest(f"`{name}` is not a text.", name) from None
    return str(value)
