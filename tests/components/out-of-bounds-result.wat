;; Hostile: answers with results that lie outside its memory, or are no value of their type.
;; `past-end` starts inside and ends behind the memory, `wrapping` would end at the start of the address space
;; again, `nowhere` says that even pointer and length are elsewhere, `unaligned` that they are at an odd
;; address, `many` has a length which times the size of its elements is more than 32 bits hold, `case` is a
;; case that a result does not have.
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 0) "\f8\ff\00\00\09\00\00\00")
    (data (i32.const 16) "\f0\ff\ff\ff\20\00\00\00")
    (data (i32.const 32) "\00\01\00\00\01\00\00\20")
    (func (export "past-end") (result i32) (i32.const 0))
    (func (export "wrapping") (result i32) (i32.const 16))
    (func (export "nowhere") (result i32) (i32.const 0x7fff0000))
    (func (export "unaligned") (result i32) (i32.const 1))
    (func (export "many") (result i32) (i32.const 32))
    (func (export "case") (result i32) (i32.const 3)))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (func (export "past-end") (result string) (canon lift (core func $i "past-end") (memory (core memory $memory))))
  (func (export "wrapping") (result string) (canon lift (core func $i "wrapping") (memory (core memory $memory))))
  (func (export "nowhere") (result string) (canon lift (core func $i "nowhere") (memory (core memory $memory))))
  (func (export "unaligned") (result string) (canon lift (core func $i "unaligned") (memory (core memory $memory))))
  (func (export "many") (result (list u64)) (canon lift (core func $i "many") (memory (core memory $memory))))
  (func (export "case") (result (result)) (canon lift (core func $i "case"))))
