;; An async export of WASI 0.3: `inc(x)` gives x + 1 through `task.return` and is done at once.
;; `plain(x)` is the same without async.
(component
  (core func $return (canon task.return (result u32)))
  (core module $m
    (import "task" "return" (func $return (param i32)))
    (func (export "inc") (param i32) (result i32)
      (call $return (i32.add (local.get 0) (i32.const 1)))
      ;; Nothing to wait for: the task ends here.
      (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) unreachable)
    (func (export "plain") (param i32) (result i32)
      (i32.add (local.get 0) (i32.const 1))))
  (core instance $i (instantiate $m
    (with "task" (instance (export "return" (func $return))))))
  (type $inc (func async (param "x" u32) (result u32)))
  (func (export "inc") (type $inc)
    (canon lift (core func $i "inc") async (callback (core func $i "callback"))))
  (func (export "plain") (param "x" u32) (result u32)
    (canon lift (core func $i "plain"))))
