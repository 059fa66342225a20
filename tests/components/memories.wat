;; Eight core instances with a memory each: one that keeps to a limit per memory gets eight times the limit.
;; `grow(pages)` asks so many times for one more page in each memory in turn, until all refuse, and returns how
;; many pages all have together. A limit must hold for this sum.
(component
  (core module $store
    (memory 1)
    ;; Grows by one page: 1, or 0 if it was refused.
    (func (export "grow") (result i32)
      (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
    (func (export "size") (result i32) (memory.size)))
  (core module $m
    (import "0" "grow" (func $grow0 (result i32))) (import "0" "size" (func $size0 (result i32)))
    (import "1" "grow" (func $grow1 (result i32))) (import "1" "size" (func $size1 (result i32)))
    (import "2" "grow" (func $grow2 (result i32))) (import "2" "size" (func $size2 (result i32)))
    (import "3" "grow" (func $grow3 (result i32))) (import "3" "size" (func $size3 (result i32)))
    (import "4" "grow" (func $grow4 (result i32))) (import "4" "size" (func $size4 (result i32)))
    (import "5" "grow" (func $grow5 (result i32))) (import "5" "size" (func $size5 (result i32)))
    (import "6" "grow" (func $grow6 (result i32))) (import "6" "size" (func $size6 (result i32)))
    (import "7" "grow" (func $grow7 (result i32))) (import "7" "size" (func $size7 (result i32)))
    (type $grow (func (result i32)))
    (table funcref (elem $grow0 $grow1 $grow2 $grow3 $grow4 $grow5 $grow6 $grow7))
    (table $sizes funcref (elem $size0 $size1 $size2 $size3 $size4 $size5 $size6 $size7))

    (func $sum (result i32)
      (local $i i32) (local $sum i32)
      (loop $next
        (local.set $sum (i32.add (local.get $sum) (call_indirect $sizes (type $grow) (local.get $i))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (i32.const 8))))
      (local.get $sum))

    (func (export "grow") (param $pages i32) (result i32)
      (local $i i32) (local $grown i32)
      (block $done
        (loop $round
          (br_if $done (i32.eqz (local.get $pages)))
          (local.set $pages (i32.sub (local.get $pages) (i32.const 1)))
          (local.set $i (i32.const 0))
          (local.set $grown (i32.const 0))
          (loop $next
            (local.set $grown (i32.or (local.get $grown) (call_indirect (type $grow) (local.get $i))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (i32.const 8))))
          (br_if $round (local.get $grown))))
      (call $sum)))
  (core instance $s0 (instantiate $store))
  (core instance $s1 (instantiate $store))
  (core instance $s2 (instantiate $store))
  (core instance $s3 (instantiate $store))
  (core instance $s4 (instantiate $store))
  (core instance $s5 (instantiate $store))
  (core instance $s6 (instantiate $store))
  (core instance $s7 (instantiate $store))
  (core instance $i (instantiate $m
    (with "0" (instance $s0)) (with "1" (instance $s1)) (with "2" (instance $s2)) (with "3" (instance $s3))
    (with "4" (instance $s4)) (with "5" (instance $s5)) (with "6" (instance $s6)) (with "7" (instance $s7))))
  (func (export "grow") (param "pages" u32) (result u32)
    (canon lift (core func $i "grow"))))
