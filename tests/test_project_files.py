"""The files at the root that speak of the project as a whole agree with it."""

from __future__ import annotations

import hashlib
import re

import pytest
import yaml

import aclnet
from tests.run import ROOT


def test_the_licence_is_the_official_text():
    content = (ROOT / 'LICENSE').read_bytes()
    # of https://www.apache.org/licenses/LICENSE-2.0.txt
    assert hashlib.sha256(content).hexdigest() == 'cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30'


def test_versions_agree():
    assert yaml.safe_load((ROOT / 'CITATION.cff').read_text())['version'] == aclnet.__version__
    headings = re.findall(r'^## \[(.+?)\]', (ROOT / 'CHANGELOG.md').read_text(), re.MULTILINE)
    assert [heading for heading in headings if heading != 'Unreleased'][0] == aclnet.__version__


@pytest.mark.parametrize('page', ['CHANGELOG.md', 'CONTRIBUTING.md'])
def test_paths_that_are_named_exist(page):
    named = re.findall(r'`(?:bash )?((?:tools|tests|configs|aclnet|data)/[\w./]*|\.ci/run)', (ROOT / page).read_text())
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
