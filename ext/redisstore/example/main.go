// Command example is one replica of a service. Start as many as you like: as
// long as they have the same Redis and the same STORE_SECRET, they share one
// token, and the first of them asks for it.
//
//	export STORE_SECRET=$(openssl rand -hex 32)
//	go run github.com/certtoken/certtoken/ext/redisstore/example@latest -redis localhost:6379 \
//		-tenant contoso.onmicrosoft.com -client-id … -cert private.pfx
package main

import (
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/redisstore"
	"github.com/redis/go-redis/v9"
)

// replica is what one process of the service is told.
type replica struct {
	authority certtoken.Authority
	clientID  string
	source    certtoken.CertSource
	scope     string
	redis     []string     // one address, or some of a cluster's
	secret    []byte       // the same in all replicas, and nowhere in Redis
	http      *http.Client // nil: the default
}

func main() {
	tenant := flag.String("tenant", "", "Entra tenant, GUID or domain")
	clientID := flag.String("client-id", "", "application (client) id")
	cert := flag.String("cert", "", "PFX or PEM file; its password, if any, is in AZURE_CLIENT_CERTIFICATE_PASSWORD")
	scope := flag.String("scope", "https://graph.microsoft.com/.default", "scope to ask for")
	addrs := flag.String("redis", "localhost:6379", "address of Redis; several of a cluster with commas")
	flag.Parse()

	secret, err := hex.DecodeString(os.Getenv("STORE_SECRET"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "example: STORE_SECRET is not hexadecimal")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err = run(ctx, os.Stdout, replica{
		authority: certtoken.Entra(*tenant),
		clientID:  *clientID,
		source:    certtoken.CertFile(*cert, certtoken.WithPassword(os.Getenv("AZURE_CLIENT_CERTIFICATE_PASSWORD"))),
		scope:     *scope,
		redis:     strings.Split(*addrs, ","),
		secret:    secret,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

// run gets a token as every replica does, and says where it came from.
func run(ctx context.Context, out io.Writer, r replica) error {
	redisClient := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:                 r.redis,
		ContextTimeoutEnabled: true, // a Redis that hangs is left when the context ends
	})
	defer redisClient.Close()
	store, err := redisstore.New(redisClient, redisstore.WithPrefix("billing:"))
	if err != nil {
		return err
	}

	from := "Redis"
	opts := []certtoken.Option{
		certtoken.WithStore(store, r.secret),
		certtoken.WithLogger(slog.Default()), // says so when Redis is away
		certtoken.WithHooks(certtoken.Hooks{
			RequestEnd: func(context.Context, certtoken.Event) { from = "the token endpoint" },
		}),
	}
	if r.http != nil {
		opts = append(opts, certtoken.WithHTTPClient(r.http))
	}
	client, err := certtoken.NewClient(r.authority, r.clientID, r.source, opts...)
	if err != nil {
		return err
	}
	defer client.Close()

	token, err := client.Token(ctx, r.scope)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "a token from %s, valid until %s\n", from, token.ExpiresAt().Format("15:04:05"))
	return nil
}
