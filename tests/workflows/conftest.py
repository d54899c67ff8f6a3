"""The toy corpus and builds of it."""

from tests.answered import answered_corpus as answered_corpus
from tests.grading.conftest import judge as judge
from tests.stocked import add as add
from tests.stocked import build as build
from tests.stocked import corpus as corpus
from tests.stocked import stocked_workspace as stocked_workspace
from tests.stocked import version as version
