;; Carries what build tools leave behind, none of which is a tool: `init` as componentize-qjs leaves it, the
;; interface `exports` as componentize-py does (its record cut down to one field), and a `wasi:*` export.
;; `real` is what the author wrote. All `init` trap: they are for the build and must never be called.
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "init-js") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
    (func (export "init-py") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "run") (result i32) (i32.const 0))
    (func (export "real") (result i32) (i32.const 1)))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))

  (func (export "init")
    (param "shim" string) (param "script" string) (param "entry-path" (option string)) (param "disable-gc" bool)
    (result (result (error string)))
    (canon lift (core func $i "init-js") (memory (core memory $memory)) (realloc (core func $i "realloc"))))

  (type $symbols-type (record (field "count" u8)))
  (component $interface
    (import "import-type-symbols" (type $symbols' (eq $symbols-type)))
    (import "import-init" (func $init
      (param "app-name" string) (param "symbols" $symbols') (param "stub-wasi" bool)
      (result (result (error string)))))
    (export $symbols "symbols" (type $symbols'))
    (export "init" (func $init) (func
      (param "app-name" string) (param "symbols" $symbols) (param "stub-wasi" bool)
      (result (result (error string))))))
  (func $init-py
    (param "app-name" string) (param "symbols" $symbols-type) (param "stub-wasi" bool)
    (result (result (error string)))
    (canon lift (core func $i "init-py") (memory (core memory $memory)) (realloc (core func $i "realloc"))))
  (instance (export "exports") (instantiate $interface
    (with "import-type-symbols" (type $symbols-type))
    (with "import-init" (func $init-py))))

  (func $run (result (result))
    (canon lift (core func $i "run")))
  (instance (export "wasi:cli/run@0.2.3")
    (export "run" (func $run)))

  (func (export "real") (result u32)
    (canon lift (core func $i "real"))))
