// Command example lists the subscriptions that an application may see, with a
// client of the Azure SDK that proves itself with a certificate.
//
//	AZURE_CLIENT_CERTIFICATE_PASSWORD=… go run github.com/certtoken/certtoken/ext/azcred/example@latest \
//		-tenant 72f988bf-… -client-id 7f0b2c1e-… -cert private.pfx
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armsubscriptions"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/azcred"
)

// settings are the flags, and the password from the environment.
type settings struct {
	tenant, clientID, cert, password string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, flags(), http.DefaultClient, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func flags() settings {
	s := settings{password: os.Getenv("AZURE_CLIENT_CERTIFICATE_PASSWORD")}
	flag.StringVar(&s.tenant, "tenant", "", "tenant's GUID")
	flag.StringVar(&s.clientID, "client-id", "", "application (client) id")
	flag.StringVar(&s.cert, "cert", "private.pfx",
		"PFX or PEM file; its password, if any, is in AZURE_CLIENT_CERTIFICATE_PASSWORD")
	flag.Parse()
	return s
}

// run does all of it; hc is the way to Azure.
func run(ctx context.Context, s settings, hc *http.Client, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()

	var password []certtoken.CertOption
	if s.password != "" {
		password = append(password, certtoken.WithPassword(s.password))
	}
	client, err := certtoken.NewClient(certtoken.Entra(s.tenant), s.clientID, certtoken.CertFile(s.cert, password...),
		certtoken.WithCapabilities("cp1"), certtoken.WithHTTPClient(hc), certtoken.WithLogger(slog.Default()))
	if err != nil {
		return err
	}
	defer client.Close()
	credential, err := azcred.New(client)
	if err != nil {
		return err
	}
	subscriptions, err := armsubscriptions.NewClient(credential, &arm.ClientOptions{
		ClientOptions: azcore.ClientOptions{Transport: hc},
	})
	if err != nil {
		return err
	}
	count := 0
	for pages := subscriptions.NewListPager(nil); pages.More(); {
		page, err := pages.NextPage(ctx)
		var refused *certtoken.TokenError
		if errors.As(err, &refused) {
			return fmt.Errorf("%s %v: %s", refused.Code, refused.AADSTS, refused.Advice())
		}
		if err != nil {
			return err
		}
		for _, subscription := range page.Value {
			fmt.Fprintln(out, text(subscription.SubscriptionID), text(subscription.DisplayName))
			count++
		}
	}
	fmt.Fprintln(out, count, "subscriptions")
	return nil
}

// text is a field that the service may leave out.
func text(field *string) string {
	if field == nil {
		return "-"
	}
	return *field
}
