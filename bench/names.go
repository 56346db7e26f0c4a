package main

// Names of the libraries in tables.
const (
	nameOurs       = "certtoken"
	nameMSAL       = "MSAL Go"
	nameAzidentity = "azidentity"
	nameOAuth2     = "x/oauth2"
	nameMap        = "map"
)

// Further subjects of the comparison with one token.
const (
	subjectHandle  = "certtoken TokenSource"
	subjectSeveral = "certtoken, three scopes in any order"
	subjectClock   = "time.Now().Before"
)

// subjectHand is one signature and one POST, by hand.
const subjectHand = "by hand"

// label names a subject in a table.
func label(name string) string {
	switch name {
	case nameOurs:
		return "**certtoken**"
	case nameOAuth2:
		return "x/oauth2 `ReuseTokenSource`"
	case nameMap:
		return "an RWMutex map and the clock"
	case subjectClock:
		return "`time.Now().Before` alone"
	}
	return name
}
