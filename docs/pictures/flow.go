package main

// flow is what the library does, from the certificate to the API.
func flow() *drawing {
	d := &drawing{
		name: "flow", title: "From a certificate to an access token", width: 900, height: 260,
		description: "A certificate and its private key sign a client assertion, a JWT that is valid for five " +
			"minutes. The client sends it to the token endpoint, which answers with an access token. The token is " +
			"kept in memory, and each request to the API carries it. Before it ends it is renewed behind the callers. " +
			"The private key never leaves its place.",
	}
	d.box("secret", rect{24, 84, 172, 92}, "Certificate and key", "PFX, PEM, JWK,", "HSM, vault")
	d.box("ours", rect{260, 84, 172, 92}, "Client assertion", "a JWT, signed,", "valid for 5 minutes")
	d.box("server", rect{496, 84, 172, 92}, "Token endpoint", "Entra ID, ADFS, any", "RFC 7523 server")
	d.box("ours", rect{732, 84, 144, 92}, "Access token", "kept and shared", "until it ends")
	d.arrow("", [2]float64{196, 130}, [2]float64{258, 130})
	d.text(note, 228, 116, "middle", "signs")
	d.arrow("", [2]float64{432, 130}, [2]float64{494, 130})
	d.text(note, 464, 116, "middle", "https")
	d.arrow("", [2]float64{668, 130}, [2]float64{730, 130})
	d.text(note, 700, 116, "middle", "gives")
	d.arrow("later", [2]float64{780, 84}, [2]float64{780, 48}, [2]float64{346, 48}, [2]float64{346, 82})
	d.text(note, 563, 38, "middle", "before it ends: renewed, and no caller waits")
	d.arrow("", [2]float64{804, 176}, [2]float64{804, 224}, [2]float64{670, 224})
	d.box("", rect{496, 200, 172, 44}, "Your API")
	d.text(note, 24, 200, "start", "The key never leaves its place.")
	return d
}
