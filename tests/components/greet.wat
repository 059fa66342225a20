;; The plain case: one function in an interface, a text in, a result out, nothing imported.
;; `greet("Ada")` is `ok("hello, Ada")`, and `greet("")` is `err("no name")`.
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 16) "hello, ")
    (data (i32.const 32) "no name")
    ;; Where the next allocation goes.
    (global $free (mut i32) (i32.const 1024))

    ;; A bump allocator: (old pointer, old size, alignment, new size) -> pointer. Grows the memory as needed.
    (func $realloc (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32)
      (result i32)
      (local $at i32) (local $pages i32)
      (local.set $at
        (i32.and
          (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
      (global.set $free (i32.add (local.get $at) (local.get $size)))
      (local.set $pages
        (i32.sub
          (i32.shr_u (i32.add (global.get $free) (i32.const 65535)) (i32.const 16))
          (memory.size)))
      (if (i32.gt_s (local.get $pages) (i32.const 0))
        (then
          (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1)) (then unreachable))))
      (memory.copy (local.get $at) (local.get $old) (local.get $old_size))
      (local.get $at))

    ;; Returns where the result lies: case (u8) at 0, pointer at 4, length at 8.
    (func (export "greet") (param $name i32) (param $len i32) (result i32)
      (local $ret i32) (local $text i32)
      (local.set $ret (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 12)))
      (if (i32.eqz (local.get $len))
        (then
          (i32.store8 (local.get $ret) (i32.const 1))
          (i32.store offset=4 (local.get $ret) (i32.const 32))
          (i32.store offset=8 (local.get $ret) (i32.const 7))
          (return (local.get $ret))))
      (local.set $text
        (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.add (local.get $len) (i32.const 7))))
      (memory.copy (local.get $text) (i32.const 16) (i32.const 7))
      (memory.copy (i32.add (local.get $text) (i32.const 7)) (local.get $name) (local.get $len))
      (i32.store8 (local.get $ret) (i32.const 0))
      (i32.store offset=4 (local.get $ret) (local.get $text))
      (i32.store offset=8 (local.get $ret) (i32.add (local.get $len) (i32.const 7)))
      (local.get $ret))

    ;; The result was read: everything allocated for the call is free again.
    (func (export "greet-post") (param i32)
      (global.set $free (i32.const 1024))))

  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (func $greet (param "name" string) (result (result string (error string)))
    (canon lift (core func $i "greet")
      (memory (core memory $memory))
      (realloc (core func $i "realloc"))
      (post-return (core func $i "greet-post"))))
  (instance (export "test:greet/api@0.1.0")
    (export "greet" (func $greet))))
