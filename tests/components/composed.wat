;; Two components in one, with a memory each, as `wac plug` makes them. Text that passes from one to the other is
;; copied by an adapter which the engine makes itself, and which uses two memories at once.
;; `twice(s)` returns twice the length of `s`, which the other component counts.
(component
  (component $counter
    (core module $m
      (memory (export "mem") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
      (func (export "length") (param i32 i32) (result i32) (local.get 1)))
    (core instance $i (instantiate $m))
    (func (export "length") (param "s" string) (result u32)
      (canon lift (core func $i "length") (memory (core memory $i "mem")) (realloc (core func $i "realloc")))))
  (component $doubler
    (import "length" (func $length (param "s" string) (result u32)))
    (core module $libc
      (memory (export "mem") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
    (core instance $libc (instantiate $libc))
    (core func $lowered (canon lower (func $length) (memory (core memory $libc "mem"))))
    (core module $m
      (import "" "length" (func $length (param i32 i32) (result i32)))
      (func (export "twice") (param i32 i32) (result i32)
        (i32.mul (i32.const 2) (call $length (local.get 0) (local.get 1)))))
    (core instance $i (instantiate $m (with "" (instance (export "length" (func $lowered))))))
    (func (export "twice") (param "s" string) (result u32)
      (canon lift (core func $i "twice") (memory (core memory $libc "mem")) (realloc (core func $libc "realloc")))))
  (instance $counted (instantiate $counter))
  (instance $doubled (instantiate $doubler (with "length" (func $counted "length"))))
  (export "twice" (func $doubled "twice")))
