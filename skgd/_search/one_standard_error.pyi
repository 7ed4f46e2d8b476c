from collections.abc import Mapping
from typing import Any

__all__ = ["one_standard_error"]

def one_standard_error(cv_results: Mapping[str, Any], scoring: str | None = None) -> int: ...
def alpha_parameter(cv_results: Mapping[str, Any]) -> str: ...
