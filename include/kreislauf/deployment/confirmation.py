"""Seeing the prediction service answer with a new release."""

from __future__ import annotations

import http.client
import json
import time
import urllib.request

WAIT_SECONDS = 20.0
PAUSE_SECONDS = 0.2


def confirm(service_url: str, use_case: str, version: int) -> str:
    """Ask the service until it names the release: ``confirmed``, or why it could not be.

    A release that nobody serves yet is no failure of the release: the service takes it up when it comes back.
    """
    if not service_url:
        return "not asked: no service is configured"
    deadline = time.monotonic() + WAIT_SECONDS
    answer = "no answer"
    while time.monotonic() < deadline:
        answer = _answer(f"{service_url.rstrip('/')}/v1/{use_case}/release")
        if answer == str(version):
            return "confirmed"
        time.sleep(PAUSE_SECONDS)
    return f"not confirmed after {WAIT_SECONDS:.0f} s: {answer}"


def _answer(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - the URL is a setting
            return str(json.load(response)["version"])
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    except (ValueError, KeyError, TypeError):
        return "the answer names no version"
