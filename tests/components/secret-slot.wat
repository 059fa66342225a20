;; Whether an instance can see what an earlier one left in the same memory, when slots of memory are used again.
;; `write(pages)` fills its memory, grown by so many pages, and its table with a pattern, and returns how many
;; words and slots it filled. `leftovers(pages)` grows a fresh memory and table likewise and returns how many
;; words are not zero and slots not null. Called after any number of `write`, it must return 0.
(component
  (core module $m
    (memory 1)
    (table 16 funcref)
    (global $secret (mut i64) (i64.const 0))
    (func $mark)
    (elem declare func $mark)

    ;; Where memory ends after growing by so many pages; the table grows by a hundred slots beside it.
    (func $grow (param $pages i32) (result i32)
      (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1)) (then unreachable))
      (if (i32.eq (table.grow (ref.null func) (i32.const 100)) (i32.const -1)) (then unreachable))
      (i32.mul (memory.size) (i32.const 65536)))

    (func (export "write") (param $pages i32) (result i64)
      (local $at i32) (local $end i32)
      (local.set $end (call $grow (local.get $pages)))
      (global.set $secret (i64.const 0x5ec2e75ec2e75ec2))
      (loop $next
        (i64.store (local.get $at) (global.get $secret))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
      (table.fill (i32.const 0) (ref.func $mark) (table.size))
      (i64.extend_i32_u (i32.add (i32.shr_u (local.get $end) (i32.const 3)) (table.size))))

    (func (export "leftovers") (param $pages i32) (result i64)
      (local $at i32) (local $end i32) (local $found i64)
      (local.set $found (i64.extend_i32_u (i64.ne (global.get $secret) (i64.const 0))))
      (local.set $end (call $grow (local.get $pages)))
      (loop $next
        (local.set $found
          (i64.add (local.get $found)
            (i64.extend_i32_u (i64.ne (i64.load (local.get $at)) (i64.const 0)))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
      (local.set $at (i32.const 0))
      (loop $slot
        (local.set $found
          (i64.add (local.get $found)
            (i64.extend_i32_u (i32.eqz (ref.is_null (table.get (local.get $at)))))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $slot (i32.lt_u (local.get $at) (table.size))))
      (local.get $found)))
  (core instance $i (instantiate $m))
  (func (export "write") (param "pages" u32) (result u64)
    (canon lift (core func $i "write")))
  (func (export "leftovers") (param "pages" u32) (result u64)
    (canon lift (core func $i "leftovers"))))
