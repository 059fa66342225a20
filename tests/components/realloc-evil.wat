;; Hostile: its allocator gives the host places that are not in its memory, where the host would write the
;; argument. `far` is behind the end, `edge` too short before it, `odd` not aligned for what is asked, `trap`
;; traps instead of answering, and `spin` never answers.
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "far-realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0x7fffff00))
    (func (export "edge-realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65535))
    (func (export "odd-realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1025))
    (func (export "trap-realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "spin-realloc") (param i32 i32 i32 i32) (result i32) (loop $again (br $again)) unreachable)
    (func (export "len") (param i32 i32) (result i32) (local.get 1)))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (func (export "far") (param "text" string) (result u32)
    (canon lift (core func $i "len") (memory (core memory $memory)) (realloc (core func $i "far-realloc"))))
  (func (export "edge") (param "text" string) (result u32)
    (canon lift (core func $i "len") (memory (core memory $memory)) (realloc (core func $i "edge-realloc"))))
  (func (export "odd") (param "numbers" (list u32)) (result u32)
    (canon lift (core func $i "len") (memory (core memory $memory)) (realloc (core func $i "odd-realloc"))))
  (func (export "trap") (param "text" string) (result u32)
    (canon lift (core func $i "len") (memory (core memory $memory)) (realloc (core func $i "trap-realloc"))))
  (func (export "spin") (param "text" string) (result u32)
    (canon lift (core func $i "len") (memory (core memory $memory)) (realloc (core func $i "spin-realloc")))))
