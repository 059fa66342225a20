;; Takes memory until it gets no more. `grow` returns how many pages of 64 KiB it then has; `grow-by(pages)`
;; asks for so many at once and returns whether it got them. Both write to the last page they got, so
;; that the memory is used and not only reserved.
(component
  (core module $m
    (memory 1)
    (func $touch
      (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4)) (i32.const -1)))
    (func (export "grow") (result i32)
      (block $done
        (loop $again
          (br_if $done (i32.eq (memory.grow (i32.const 1)) (i32.const -1)))
          (call $touch)
          (br $again)))
      (memory.size))
    (func (export "grow-by") (param $pages i32) (result i32)
      (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1))
        (then (return (i32.const 0))))
      (call $touch)
      (i32.const 1)))
  (core instance $i (instantiate $m))
  (func (export "grow") (result u32)
    (canon lift (core func $i "grow")))
  (func (export "grow-by") (param "pages" u32) (result bool)
    (canon lift (core func $i "grow-by"))))
