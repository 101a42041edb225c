// SPDX-License-Identifier: Apache-2.0

// The gRPC application of the bench: one unary method that answers with its request. The service is described by hand with a well-known
// message type, so that no generated code is needed; echo.proto says the same for clients.
package main

import (
	"context"
	"log"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type echoServer interface {
	echo(ctx context.Context, request *wrapperspb.StringValue) (*wrapperspb.StringValue, error)
}

type echo struct{}

func (echo) echo(_ context.Context, request *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
	return request, nil
}

func handleEcho(server any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	request := new(wrapperspb.StringValue)
	if err := decode(request); err != nil {
		return nil, err
	}
	return server.(echoServer).echo(ctx, request)
}

var service = grpc.ServiceDesc{
	ServiceName: "weft.bench.Echo",
	HandlerType: (*echoServer)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Echo", Handler: handleEcho}},
	Metadata:    "echo.proto",
}

// Serves on every address given as an argument.
func main() {
	server := grpc.NewServer()
	server.RegisterService(&service, echo{})
	failed := make(chan error)
	for _, address := range os.Args[1:] {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			log.Fatal(err)
		}
		go func() { failed <- server.Serve(listener) }()
	}
	log.Fatal(<-failed)
}
