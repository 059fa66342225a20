;; Calls itself: `recurse(depth)` returns the depth it reached, and traps when the stack is not enough for it.
(component
  (core module $m
    (func $recurse (export "recurse") (param $depth i32) (result i32)
      (if (i32.eqz (local.get $depth)) (then (return (i32.const 0))))
      ;; The addition keeps the call from being the last thing done, so that a frame is needed.
      (i32.add (call $recurse (i32.sub (local.get $depth) (i32.const 1))) (i32.const 1))))
  (core instance $i (instantiate $m))
  (func (export "recurse") (param "depth" u32) (result u32)
    (canon lift (core func $i "recurse"))))
