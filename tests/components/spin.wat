;; Hostile: `spin` never returns. Only a deadline stops it.
;; `count(n)` goes round n times and returns n: as much work as a test asks for, and then an end.
(component
  (core module $m
    (func (export "spin")
      (loop $again (br $again)))
    (func (export "count") (param $n i64) (result i64)
      (local $i i64)
      (block $done
        (loop $again
          (br_if $done (i64.ge_u (local.get $i) (local.get $n)))
          (local.set $i (i64.add (local.get $i) (i64.const 1)))
          (br $again)))
      (local.get $i)))
  (core instance $i (instantiate $m))
  (func (export "spin")
    (canon lift (core func $i "spin")))
  (func (export "count") (param "n" u64) (result u64)
    (canon lift (core func $i "count"))))
