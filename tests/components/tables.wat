;; Takes table elements until it gets no more, a thousand at a time, and returns how many it then has.
;; Tables are memory of the host outside every linear memory, so that they need a limit of their own.
(component
  (core module $m
    (table 1 funcref)
    (func (export "grow") (result i32)
      (block $done
        (loop $again
          (br_if $done (i32.eq (table.grow (ref.null func) (i32.const 1000)) (i32.const -1)))
          (br $again)))
      (table.size)))
  (core instance $i (instantiate $m))
  (func (export "grow") (result u32)
    (canon lift (core func $i "grow"))))
