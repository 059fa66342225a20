;; Exports an interface with a resource of its own: it is made, borrowed, given back and has a method, none of
;; which JSON can say. `plain`, of the same interface, and `add`, of the world, are offered all the same:
;; `plain` returns 7 and `add(a, b)` the sum.
(component
  (type $counter (resource (rep i32)))
  (core func $new (canon resource.new $counter))
  (core module $m
    (import "counter" "new" (func $new (param i32) (result i32)))
    (func (export "make") (param i32) (result i32)
      (call $new (local.get 0)))
    ;; A borrowed handle of one's own resource arrives as what `make` stored.
    (func (export "read") (param i32) (result i32) (local.get 0))
    (func (export "take") (param i32))
    (func (export "plain") (result i32) (i32.const 7))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m
    (with "counter" (instance (export "new" (func $new))))))

  (func $make (param "start" u32) (result (own $counter)) (canon lift (core func $i "make")))
  (func $value (param "self" (borrow $counter)) (result u32) (canon lift (core func $i "read")))
  (func $read (param "counter" (borrow $counter)) (result u32) (canon lift (core func $i "read")))
  (func $take (param "counter" (own $counter)) (canon lift (core func $i "take")))
  (func $plain (result u32) (canon lift (core func $i "plain")))

  ;; An instance whose functions name its own type can only come from a component.
  (component $api
    (import "import-type-counter" (type $imported (sub resource)))
    (import "import-make" (func $make (param "start" u32) (result (own $imported))))
    (import "import-value" (func $value (param "self" (borrow $imported)) (result u32)))
    (import "import-read" (func $read (param "counter" (borrow $imported)) (result u32)))
    (import "import-take" (func $take (param "counter" (own $imported))))
    (import "import-plain" (func $plain (result u32)))
    (export $counter "counter" (type $imported))
    (export "[constructor]counter" (func $make) (func (param "start" u32) (result (own $counter))))
    (export "[method]counter.value" (func $value) (func (param "self" (borrow $counter)) (result u32)))
    (export "open" (func $make) (func (param "start" u32) (result (own $counter))))
    (export "read" (func $read) (func (param "counter" (borrow $counter)) (result u32)))
    (export "take" (func $take) (func (param "counter" (own $counter))))
    (export "plain" (func $plain)))
  (instance (export "test:counter/api@0.1.0") (instantiate $api
    (with "import-type-counter" (type $counter))
    (with "import-make" (func $make))
    (with "import-value" (func $value))
    (with "import-read" (func $read))
    (with "import-take" (func $take))
    (with "import-plain" (func $plain))))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32)
    (canon lift (core func $i "add"))))
