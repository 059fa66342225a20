;; Imports an interface that no host of ours provides: it must be refused at load, by name.
(component
  (import "acme:db/query@1.0.0" (instance $db
    (export "count" (func (param "table" string) (result u32)))))
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (core func $count (canon lower (func $db "count") (memory (core memory $memory))))
  (core module $m
    (import "db" "count" (func $count (param i32 i32) (result i32)))
    (func (export "rows") (param i32 i32) (result i32)
      (call $count (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m (with "db" (instance (export "count" (func $count))))))
  (func (export "rows") (param "table" string) (result u32)
    (canon lift (core func $i "rows") (memory (core memory $memory)) (realloc (core func $libc "realloc")))))
