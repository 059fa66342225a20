//! Every WIT type, there and back: the Rust part of the kitchen sink.

use exports::test::kitchen::echo::{
    Color, Guest as Echo, MathError, Payload, Permissions, Point, Preferences, Shape, Weekdays,
};

wit_bindgen::generate!({ world: "kitchen", path: "../../wit/kitchen.wit" });

struct Kitchen;
export!(Kitchen);

impl Guest for Kitchen {
    fn add(a: u32, b: u32) -> u32 {
        a.wrapping_add(b)
    }

    fn note(_text: String) {}
}

impl Echo for Kitchen {
    fn echo_bool(v: bool) -> bool {
        v
    }

    fn echo_u8(v: u8) -> u8 {
        v
    }

    fn echo_u16(v: u16) -> u16 {
        v
    }

    fn echo_u32(v: u32) -> u32 {
        v
    }

    fn echo_u64(v: u64) -> u64 {
        v
    }

    fn echo_s8(v: i8) -> i8 {
        v
    }

    fn echo_s16(v: i16) -> i16 {
        v
    }

    fn echo_s32(v: i32) -> i32 {
        v
    }

    fn echo_s64(v: i64) -> i64 {
        v
    }

    fn echo_f32(v: f32) -> f32 {
        v
    }

    fn echo_f64(v: f64) -> f64 {
        v
    }

    fn echo_char(v: char) -> char {
        v
    }

    fn echo_string(v: String) -> String {
        v
    }

    fn echo_bytes(v: Vec<u8>) -> Vec<u8> {
        v
    }

    fn echo_strings(v: Vec<String>) -> Vec<String> {
        v
    }

    fn echo_u64s(v: Vec<u64>) -> Vec<u64> {
        v
    }

    fn echo_points(v: Vec<Point>) -> Vec<Point> {
        v
    }

    fn echo_matrix(v: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
        v
    }

    fn echo_point(v: Point) -> Point {
        v
    }

    fn echo_shape(v: Shape) -> Shape {
        v
    }

    fn echo_preferences(v: Preferences) -> Preferences {
        v
    }

    fn echo_tuple(v: (u8, String, bool)) -> (u8, String, bool) {
        v
    }

    fn echo_pair(v: (i32, i32)) -> (i32, i32) {
        v
    }

    fn echo_payload(v: Payload) -> Payload {
        v
    }

    fn echo_payloads(v: Vec<Payload>) -> Vec<Payload> {
        v
    }

    fn echo_color(v: Color) -> Color {
        v
    }

    fn echo_permissions(v: Permissions) -> Permissions {
        v
    }

    fn echo_weekdays(v: Weekdays) -> Weekdays {
        v
    }

    fn echo_option(v: Option<String>) -> Option<String> {
        v
    }

    fn echo_option_point(v: Option<Point>) -> Option<Point> {
        v
    }

    fn echo_nested_option(v: Option<Option<u8>>) -> Option<Option<u8>> {
        v
    }

    fn echo_options(v: Vec<Option<i32>>) -> Vec<Option<i32>> {
        v
    }

    fn echo_results(v: Vec<Result<i32, String>>) -> Vec<Result<i32, String>> {
        v
    }

    fn echo_bare_results(v: Vec<Result<(), ()>>) -> Vec<Result<(), ()>> {
        v
    }

    fn pass_result(v: Result<String, MathError>) -> Result<String, MathError> {
        v
    }

    fn divide(a: i32, b: i32) -> Result<i32, MathError> {
        if b == 0 {
            return Err(MathError::DivideByZero);
        }
        a.checked_div(b)
            .ok_or_else(|| MathError::Overflow(format!("{a} / {b}")))
    }

    fn check(ok: bool, message: String) -> Result<(), String> {
        if ok { Ok(()) } else { Err(message) }
    }

    fn succeed(ok: bool) -> Result<(), ()> {
        if ok { Ok(()) } else { Err(()) }
    }

    fn describe(a: u32, b: Option<String>, c: bool) -> String {
        format!("a={a} b={} c={c}", b.as_deref().unwrap_or("-"))
    }
}
