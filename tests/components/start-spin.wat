;; Hostile: it never gets to a call, because its start function, which runs at instantiation, loops for ever.
(component
  (core module $m
    (func $start (loop $again (br $again)))
    (start $start)
    (func (export "never")))
  (core instance $i (instantiate $m))
  (func (export "never")
    (canon lift (core func $i "never"))))
