// The kitchen sink in C: one echo function for every type WIT can say.
//
// An argument belongs to the function it is given to, and a result is freed by the bindings after the
// call. So an echo hands its argument over as its result instead of copying it.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "kitchen.h"

// Echoes of plain values, which C passes and returns as such.
#define ECHO(name, type)                                                                           \
    type exports_test_kitchen_echo_echo_##name(type v) { return v; }

// Echoes of values which the bindings pass by pointer, in both directions.
#define ECHO_AT(name, type)                                                                        \
    void exports_test_kitchen_echo_echo_##name(type *v, type *ret) { *ret = *v; }

// Echoes of options: a null pointer is `none`, and the returned truth value says whether there is one.
#define ECHO_OPTION(name, type)                                                                    \
    bool exports_test_kitchen_echo_echo_##name(type *maybe_v, type *ret) {                         \
        if (maybe_v == NULL) return false;                                                         \
        *ret = *maybe_v;                                                                           \
        return true;                                                                               \
    }

ECHO(bool, bool)
ECHO(u8, uint8_t)
ECHO(u16, uint16_t)
ECHO(u32, uint32_t)
ECHO(u64, uint64_t)
ECHO(s8, int8_t)
ECHO(s16, int16_t)
ECHO(s32, int32_t)
ECHO(s64, int64_t)
ECHO(f32, float)
ECHO(f64, double)
ECHO(char, uint32_t)
ECHO_AT(string, kitchen_string_t)

ECHO_AT(bytes, kitchen_list_u8_t)
ECHO_AT(strings, kitchen_list_string_t)
ECHO_AT(u64s, kitchen_list_u64_t)
ECHO_AT(points, exports_test_kitchen_echo_list_point_t)
ECHO_AT(matrix, kitchen_list_list_f64_t)

ECHO_AT(point, exports_test_kitchen_echo_point_t)
ECHO_AT(shape, exports_test_kitchen_echo_shape_t)
ECHO_AT(preferences, exports_test_kitchen_echo_preferences_t)
ECHO_AT(tuple, kitchen_tuple3_u8_string_bool_t)
ECHO_AT(pair, kitchen_tuple2_s32_s32_t)

ECHO_AT(payload, exports_test_kitchen_echo_payload_t)
ECHO_AT(payloads, exports_test_kitchen_echo_list_payload_t)
ECHO(color, exports_test_kitchen_echo_color_t)
ECHO(permissions, exports_test_kitchen_echo_permissions_t)
ECHO(weekdays, exports_test_kitchen_echo_weekdays_t)

ECHO_OPTION(option, kitchen_string_t)
ECHO_OPTION(option_point, exports_test_kitchen_echo_point_t)
ECHO_OPTION(nested_option, kitchen_option_u8_t)
ECHO_AT(options, kitchen_list_option_s32_t)

ECHO_AT(results, exports_test_kitchen_echo_list_result_s32_string_t)
ECHO_AT(bare_results, exports_test_kitchen_echo_list_result_void_void_t)

bool exports_test_kitchen_echo_pass_result(exports_test_kitchen_echo_result_string_math_error_t *v,
                                           kitchen_string_t *ret,
                                           exports_test_kitchen_echo_math_error_t *err) {
    if (v->is_err) {
        *err = v->val.err;
        return false;
    }
    *ret = v->val.ok;
    return true;
}

bool exports_test_kitchen_echo_divide(int32_t a, int32_t b, int32_t *ret,
                                      exports_test_kitchen_echo_math_error_t *err) {
    if (b == 0) {
        err->tag = EXPORTS_TEST_KITCHEN_ECHO_MATH_ERROR_DIVIDE_BY_ZERO;
        return false;
    }
    if (a == INT32_MIN && b == -1) {
        err->tag = EXPORTS_TEST_KITCHEN_ECHO_MATH_ERROR_OVERFLOW;
        kitchen_string_dup(&err->val.overflow, "-2147483648 / -1");
        return false;
    }
    *ret = a / b;
    return true;
}

bool exports_test_kitchen_echo_check(bool ok, kitchen_string_t *message, kitchen_string_t *err) {
    if (ok) {
        kitchen_string_free(message);
        return true;
    }
    *err = *message;
    return false;
}

bool exports_test_kitchen_echo_succeed(bool ok) { return ok; }

void exports_test_kitchen_echo_describe(uint32_t a, kitchen_string_t *maybe_b, bool c,
                                        kitchen_string_t *ret) {
    const char *b = maybe_b == NULL ? "-" : (const char *)maybe_b->ptr;
    int b_len = maybe_b == NULL ? 1 : (int)maybe_b->len;
    char *text = NULL;
    int len = asprintf(&text, "a=%" PRIu32 " b=%.*s c=%s", a, b_len, b, c ? "true" : "false");
    if (len < 0) abort();
    kitchen_string_dup_n(ret, text, (size_t)len);
    free(text);
    if (maybe_b != NULL) kitchen_string_free(maybe_b);
}

uint32_t exports_kitchen_add(uint32_t a, uint32_t b) { return a + b; }

void exports_kitchen_note(kitchen_string_t *text) { kitchen_string_free(text); }
