;; Integer division: `divide(1, 0)` traps, and so does the smallest number by -1, which overflows.
(component
  (core module $m
    (func (export "divide") (param i32 i32) (result i32)
      (i32.div_s (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m))
  (func (export "divide") (param "a" s32) (param "b" s32) (result s32)
    (canon lift (core func $i "divide"))))
