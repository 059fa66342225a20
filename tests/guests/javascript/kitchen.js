// The kitchen sink in JavaScript: one echo function for every type WIT can say. The same source runs on
// QuickJS and on StarlingMonkey, and is built with the tools of jco 1.35.
//
// How WIT comes to JavaScript: `list<u8>` is a Uint8Array, a variant is `{ tag, val }`, flags are an object of
// truth values, an absent option is `undefined`, an option in an option and a result that is not the return
// value are objects with a tag. A function that returns a result throws its error.
//
// Faults of the engines' bindings, which no code here can cure and tests must know:
// - QuickJS: a 64-bit integer is a number, so that beyond 2^53 it is rounded, and the largest u64 traps.
// - StarlingMonkey: a u32 result of 2^31 and more comes out as another number, a negative s64 result traps.

/** Every echo is this one function. */
const same = (v) => v;

/** Throws what the bindings take for the error of a `result`. */
function fail(payload) {
  throw Object.assign(new Error("result error"), { payload });
}

export const echo = {
  echoBool: same,
  echoU8: same,
  echoU16: same,
  echoU32: same,
  echoU64: same,
  echoS8: same,
  echoS16: same,
  echoS32: same,
  echoS64: same,
  echoF32: same,
  echoF64: same,
  echoChar: same,
  echoString: same,

  echoBytes: same,
  echoStrings: same,
  echoU64s: same,
  echoPoints: same,
  echoMatrix: same,

  echoPoint: same,
  echoShape: same,
  echoPreferences: same,
  echoTuple: same,
  echoPair: same,

  echoPayload: same,
  echoPayloads: same,
  echoColor: same,
  echoPermissions: same,
  echoWeekdays: same,

  echoOption: same,
  echoOptionPoint: same,
  echoNestedOption: same,
  echoOptions: same,

  echoResults: same,
  echoBareResults: same,

  passResult(v) {
    return v.tag === "ok" ? v.val : fail(v.val);
  },

  divide(a, b) {
    if (b === 0) return fail({ tag: "divide-by-zero" });
    if (a === -2147483648 && b === -1) {
      return fail({ tag: "overflow", val: `${a} / ${b}` });
    }
    return Math.trunc(a / b);
  },

  check(ok, message) {
    if (!ok) fail(message);
  },

  succeed(ok) {
    if (!ok) fail(undefined);
  },

  describe(a, b, c) {
    // QuickJS sees an unsigned integer of 2^31 and more as a negative one.
    return `a=${a >>> 0} b=${b ?? "-"} c=${c}`;
  },
};

export function add(a, b) {
  // Signed on purpose: QuickJS gives out 2^31 - 1 for every number beyond it, and the right bits for a negative one.
  return (a + b) | 0;
}

export function note(_text) {}
