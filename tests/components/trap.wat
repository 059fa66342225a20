;; A trap of each kind that wasm code reaches by itself, but for division (divide.wat) and depth (recurse.wat).
;; `fine` returns 7: the component works, and works again after a trap.
(component
  (core module $m
    (memory 1)
    (table 4 funcref)
    (type $callback (func))
    (func $other (result i32) (i32.const 0))
    (elem (i32.const 0) $other)
    (func (export "unreachable") unreachable)
    ;; Reads the four bytes behind the end of the memory.
    (func (export "out-of-bounds") (result i32)
      (i32.load (i32.const 65536)))
    ;; A table slot that is empty, one that is not there, and one with another signature.
    (func (export "null-call") (call_indirect (type $callback) (i32.const 1)))
    (func (export "no-call") (call_indirect (type $callback) (i32.const 9)))
    (func (export "wrong-call") (call_indirect (type $callback) (i32.const 0)))
    (func (export "not-a-number") (result i32)
      (i32.trunc_f64_s (f64.const nan)))
    (func (export "fine") (result i32) (i32.const 7)))
  (core instance $i (instantiate $m))
  (func (export "unreachable") (canon lift (core func $i "unreachable")))
  (func (export "out-of-bounds") (result u32) (canon lift (core func $i "out-of-bounds")))
  (func (export "null-call") (canon lift (core func $i "null-call")))
  (func (export "no-call") (canon lift (core func $i "no-call")))
  (func (export "wrong-call") (canon lift (core func $i "wrong-call")))
  (func (export "not-a-number") (result s32) (canon lift (core func $i "not-a-number")))
  (func (export "fine") (result u32) (canon lift (core func $i "fine"))))
