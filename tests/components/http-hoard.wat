;; Leaves with its host what requests are made of, and never sends one. `keep` gives a request a method, a host
;; and a path of so many bytes each: how many of the three were kept. `room` is what may be written at once to a
;; body that nobody reads.
(component
  (import "wasi:io/error@0.2.0" (instance $errors (export "error" (type (sub resource)))))
  (alias export $errors "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error (type $any-error))
    (export "error" (type $stream-cause (eq $any-error)))
    (export "output-stream" (type $output (sub resource)))
    (type $failure (variant (case "last-operation-failed" (own $stream-cause)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $failure)))
    (export "[method]output-stream.check-write"
      (func (param "self" (borrow $output)) (result (result u64 (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output))
  (import "wasi:http/types@0.2.0" (instance $http
    (alias outer 1 $output (type $any-output))
    (export "output-stream" (type $output (eq $any-output)))
    (export "fields" (type $fields (sub resource)))
    (export "outgoing-request" (type $request (sub resource)))
    (export "outgoing-body" (type $body (sub resource)))
    (type $methods (variant (case "get") (case "head") (case "post") (case "put") (case "delete") (case "connect")
      (case "options") (case "trace") (case "patch") (case "other" string)))
    (export "method" (type $method (eq $methods)))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[constructor]outgoing-request" (func (param "headers" (own $fields)) (result (own $request))))
    (export "[method]outgoing-request.set-method"
      (func (param "self" (borrow $request)) (param "method" $method) (result (result))))
    (export "[method]outgoing-request.set-authority"
      (func (param "self" (borrow $request)) (param "authority" (option string)) (result (result))))
    (export "[method]outgoing-request.set-path-with-query"
      (func (param "self" (borrow $request)) (param "path-with-query" (option string)) (result (result))))
    (export "[method]outgoing-request.body"
      (func (param "self" (borrow $request)) (result (result (own $body)))))
    (export "[method]outgoing-body.write"
      (func (param "self" (borrow $body)) (result (result (own $output)))))))
  (core module $libc (memory (export "memory") 257))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (core func $fields (canon lower (func $http "[constructor]fields")))
  (core func $request (canon lower (func $http "[constructor]outgoing-request")))
  (core func $method (canon lower (func $http "[method]outgoing-request.set-method")
    (memory (core memory $memory))))
  (core func $authority (canon lower (func $http "[method]outgoing-request.set-authority")
    (memory (core memory $memory))))
  (core func $path (canon lower (func $http "[method]outgoing-request.set-path-with-query")
    (memory (core memory $memory))))
  (core func $body (canon lower (func $http "[method]outgoing-request.body") (memory (core memory $memory))))
  (core func $write (canon lower (func $http "[method]outgoing-body.write") (memory (core memory $memory))))
  (core func $room (canon lower (func $streams "[method]output-stream.check-write")
    (memory (core memory $memory))))
  (core module $m
    (import "libc" "memory" (memory 257))
    (import "host" "fields" (func $fields (result i32)))
    (import "host" "request" (func $request (param i32) (result i32)))
    (import "host" "method" (func $method (param i32 i32 i32 i32) (result i32)))
    (import "host" "authority" (func $authority (param i32 i32 i32 i32) (result i32)))
    (import "host" "path" (func $path (param i32 i32 i32 i32) (result i32)))
    (import "host" "body" (func $body (param i32 i32)))
    (import "host" "write" (func $write (param i32 i32)))
    (import "host" "room" (func $room (param i32 i32)))
    ;; A path begins with a slash, which stands before the rest.
    (func (export "keep") (param $bytes i32) (result i32)
      (local $request i32)
      (i32.store8 (i32.const 99) (i32.const 47))
      (memory.fill (i32.const 100) (i32.const 65) (local.get $bytes))
      (local.set $request (call $request (call $fields)))
      (i32.add
        (i32.add
          (i32.eqz (call $method (local.get $request) (i32.const 9) (i32.const 100) (local.get $bytes)))
          (i32.eqz (call $authority (local.get $request) (i32.const 1) (i32.const 100) (local.get $bytes))))
        (i32.eqz (call $path (local.get $request) (i32.const 1) (i32.const 99) (local.get $bytes)))))
    ;; Each import leaves a flag and, after it, what it gives: a handle, or eight bytes later a number.
    (func (export "room") (result i64)
      (call $body (call $request (call $fields)) (i32.const 16))
      (call $write (i32.load (i32.const 20)) (i32.const 16))
      (call $room (i32.load (i32.const 20)) (i32.const 16))
      (i64.load (i32.const 24))))
  (core instance $i (instantiate $m
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "fields" (func $fields)) (export "request" (func $request)) (export "method" (func $method))
      (export "authority" (func $authority)) (export "path" (func $path)) (export "body" (func $body))
      (export "write" (func $write)) (export "room" (func $room))))))
  (func (export "keep") (param "bytes" u32) (result u32)
    (canon lift (core func $i "keep")))
  (func (export "room") (result u64)
    (canon lift (core func $i "room"))))
