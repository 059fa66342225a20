;; Returns as much as it is asked for: `text(n)` a text of n letters `a`, `bytes(n)` n bytes of 97, `numbers(n)`
;; a list of n times 97. An u64 in JSON takes more room than in the guest.
(component
  (core module $m
    (memory (export "memory") 1)
    ;; Fills n bytes from 64 on, and returns where pointer and length lie.
    (func $fill (param $n i32)
      (local $pages i32)
      (local.set $pages
        (i32.sub
          (i32.shr_u (i32.add (local.get $n) (i32.const 65599)) (i32.const 16))
          (memory.size)))
      (if (i32.gt_s (local.get $pages) (i32.const 0))
        (then
          (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1)) (then unreachable))))
      (memory.fill (i32.const 64) (i32.const 97) (local.get $n)))
    (func $list (param $len i32) (result i32)
      (i32.store (i32.const 0) (i32.const 64))
      (i32.store (i32.const 4) (local.get $len))
      (i32.const 0))
    (func (export "bytes") (param $n i32) (result i32)
      (call $fill (local.get $n))
      (call $list (local.get $n)))
    (func (export "numbers") (param $n i32) (result i32)
      (local $at i32) (local $left i32)
      (call $fill (i32.mul (local.get $n) (i32.const 8)))
      (local.set $at (i32.const 64))
      (local.set $left (local.get $n))
      (block $done
        (loop $next
          (br_if $done (i32.eqz (local.get $left)))
          (i64.store (local.get $at) (i64.const 97))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br $next)))
      (call $list (local.get $n))))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (func (export "text") (param "n" u32) (result string)
    (canon lift (core func $i "bytes") (memory (core memory $memory))))
  (func (export "bytes") (param "n" u32) (result (list u8))
    (canon lift (core func $i "bytes") (memory (core memory $memory))))
  (func (export "numbers") (param "n" u32) (result (list u64))
    (canon lift (core func $i "numbers") (memory (core memory $memory)))))
