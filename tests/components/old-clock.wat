;; Imports a wall clock of another 0.2.x than the host's own: every 0.2.x must link. `now` is the time in
;; seconds since 1970.
(component
  (import "wasi:clocks/wall-clock@0.2.1" (instance $clock
    (type $datetime' (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $datetime (eq $datetime')))
    (export "now" (func (result $datetime)))))
  (core module $libc
    (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (core func $now (canon lower (func $clock "now") (memory (core memory $memory))))
  (core module $m
    (import "libc" "memory" (memory 1))
    (import "clock" "now" (func $now (param i32)))
    (func (export "now") (result i64)
      (call $now (i32.const 16))
      (i64.load (i32.const 16))))
  (core instance $i (instantiate $m
    (with "libc" (instance $libc))
    (with "clock" (instance (export "now" (func $now))))))
  (func (export "now") (result u64)
    (canon lift (core func $i "now"))))
