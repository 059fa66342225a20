;; Exports nothing: a valid component from which no tool can be made.
(component
  (core module $m
    (func (export "hidden") (result i32) (i32.const 1)))
  (core instance (instantiate $m)))
