;; Valid, but nothing WIT can say: a type stands among the exports of the component itself, not in an interface.
;; What reads types through WIT must refuse it with a reason; `favorite` would return `green`.
(component
  (core module $m
    (func (export "favorite") (result i32) (i32.const 1)))
  (core instance $i (instantiate $m))
  (type $color' (enum "red" "green" "blue"))
  (export $color "color" (type $color'))
  (func (export "favorite") (result $color)
    (canon lift (core func $i "favorite"))))
