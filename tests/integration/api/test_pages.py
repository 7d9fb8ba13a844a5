"""Tests that the API documentation needs no other host, because a laptop may be offline."""

import re

import httpx
import pytest
from harness.rest import Api


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_a_page_loads_all_its_files_from_this_server(shared_api: Api, page: str) -> None:
    with httpx.Client(base_url=shared_api.url, trust_env=False) as browser:
        answer = browser.get(page)
        addresses = re.findall(r"""(?:src|href|spec-url)=["']([^"']+)|\burl: '([^']+)""", answer.text)
        files = {one or other: browser.get(one or other) for one, other in addresses}

    assert answer.status_code == 200
    assert "//" not in re.sub(r"<!--.*?-->", "", answer.text, flags=re.DOTALL)
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "/openapi.json" in files
    assert [address for address in files if address.endswith(".js")]
    assert {address: found.status_code for address, found in files.items()} == dict.fromkeys(files, 200)
