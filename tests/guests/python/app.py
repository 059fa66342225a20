"""The kitchen sink in Python: one echo function for every type WIT can say.

Imports stand at the top of the file only: the component is a snapshot taken after they ran, and the
files they came from are not in it.
"""

import wit_world
from componentize_py_types import Err, Ok, Result, Some
from wit_world import exports
from wit_world.exports.echo import (
    Color,
    MathError,
    MathError_DivideByZero,
    MathError_Overflow,
    Payload,
    Permissions,
    Point,
    Preferences,
    Shape,
    Weekdays,
)

S32_MIN = -(2**31)


class Echo(exports.Echo):
    def echo_bool(self, v: bool) -> bool:
        return v

    def echo_u8(self, v: int) -> int:
        return v

    def echo_u16(self, v: int) -> int:
        return v

    def echo_u32(self, v: int) -> int:
        return v

    def echo_u64(self, v: int) -> int:
        return v

    def echo_s8(self, v: int) -> int:
        return v

    def echo_s16(self, v: int) -> int:
        return v

    def echo_s32(self, v: int) -> int:
        return v

    def echo_s64(self, v: int) -> int:
        return v

    def echo_f32(self, v: float) -> float:
        return v

    def echo_f64(self, v: float) -> float:
        return v

    def echo_char(self, v: str) -> str:
        return v

    def echo_string(self, v: str) -> str:
        return v

    def echo_bytes(self, v: bytes) -> bytes:
        return v

    def echo_strings(self, v: list[str]) -> list[str]:
        return v

    def echo_u64s(self, v: list[int]) -> list[int]:
        return v

    def echo_points(self, v: list[Point]) -> list[Point]:
        return v

    def echo_matrix(self, v: list[list[float]]) -> list[list[float]]:
        return v

    def echo_point(self, v: Point) -> Point:
        return v

    def echo_shape(self, v: Shape) -> Shape:
        return v

    def echo_preferences(self, v: Preferences) -> Preferences:
        return v

    def echo_tuple(self, v: tuple[int, str, bool]) -> tuple[int, str, bool]:
        return v

    def echo_pair(self, v: tuple[int, int]) -> tuple[int, int]:
        return v

    def echo_payload(self, v: Payload) -> Payload:
        return v

    def echo_payloads(self, v: list[Payload]) -> list[Payload]:
        return v

    def echo_color(self, v: Color) -> Color:
        return v

    def echo_permissions(self, v: Permissions) -> Permissions:
        return v

    def echo_weekdays(self, v: Weekdays) -> Weekdays:
        return v

    def echo_option(self, v: str | None) -> str | None:
        return v

    def echo_option_point(self, v: Point | None) -> Point | None:
        return v

    def echo_nested_option(self, v: Some[int | None] | None) -> Some[int | None] | None:
        return v

    def echo_options(self, v: list[int | None]) -> list[int | None]:
        return v

    def echo_results(self, v: list[Result[int, str]]) -> list[Result[int, str]]:
        return v

    def echo_bare_results(self, v: list[Result[None, None]]) -> list[Result[None, None]]:
        return v

    # A function that returns a result raises its error and returns only its success.

    def pass_result(self, v: Result[str, MathError]) -> str:
        if isinstance(v, Ok):
            return v.value
        raise v

    def divide(self, a: int, b: int) -> int:
        if b == 0:
            raise Err(MathError_DivideByZero())
        if a == S32_MIN and b == -1:
            raise Err(MathError_Overflow(f"{a} / {b}"))
        quotient = abs(a) // abs(b)
        return quotient if (a < 0) == (b < 0) else -quotient

    def check(self, ok: bool, message: str) -> None:
        if not ok:
            raise Err(message)

    def succeed(self, ok: bool) -> None:
        if not ok:
            raise Err(None)

    def describe(self, a: int, b: str | None, c: bool) -> str:
        return f"a={a} b={'-' if b is None else b} c={'true' if c else 'false'}"


class WitWorld(wit_world.WitWorld):
    def add(self, a: int, b: int) -> int:
        return (a + b) & 0xFFFF_FFFF

    def note(self, text: str) -> None:
        pass
