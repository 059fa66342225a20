;; Reads the environment it was given and nothing else: `count` is the number of variables, `first` the name of
;; the first, empty if there is none.
(component
  (import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-environment" (func (result (list (tuple string string)))))))
  (core module $libc
    (memory (export "memory") 16)
    (global $free (mut i32) (i32.const 1024))
    (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32)
      (result i32)
      (local $at i32)
      (local.set $at
        (i32.and
          (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
      (global.set $free (i32.add (local.get $at) (local.get $size)))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (core func $get (canon lower (func $environment "get-environment")
    (memory (core memory $memory)) (realloc (core func $libc "realloc"))))
  (core module $m
    (import "libc" "memory" (memory 16))
    (import "environment" "get" (func $get (param i32)))
    ;; The import leaves pointer and length of the list at the given place.
    (func (export "count") (result i32)
      (call $get (i32.const 16))
      (i32.load (i32.const 20)))
    ;; A pair of texts begins with pointer and length of its name: returned where it lies.
    (func (export "first") (result i32)
      (call $get (i32.const 16))
      (if (result i32) (i32.eqz (i32.load (i32.const 20)))
        (then (i32.const 32))
        (else (i32.load (i32.const 16))))))
  (core instance $i (instantiate $m
    (with "libc" (instance $libc))
    (with "environment" (instance (export "get" (func $get))))))
  (func (export "count") (result u32)
    (canon lift (core func $i "count")))
  (func (export "first") (result string)
    (canon lift (core func $i "first") (memory (core memory $memory)))))
