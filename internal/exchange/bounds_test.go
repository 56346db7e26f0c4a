package exchange

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// longRefusals are bodies of up to size bytes by which a server would keep its client busy.
func longRefusals(size int) map[string][]byte {
	text := func(i int) string { return fmt.Sprintf("text %d %s", i, strings.Repeat("x", 80)) }
	var nested, wide, deepLists bytes.Buffer
	for i := 0; nested.Len() < size-size/8; i++ {
		fmt.Fprintf(&nested, `{"title":"%s","message":`, text(i))
	}
	nested.WriteString(`"end"`)
	nested.WriteString(strings.Repeat("}", bytes.Count(nested.Bytes(), []byte("{"))))

	count := 0
	var object func(depth int) string
	object = func(depth int) string {
		var b strings.Builder
		for _, name := range append([]string{"fault", "errors", "error"}, textFields...) {
			if b.Len() > 0 {
				b.WriteByte(',')
			}
			if depth == 0 {
				count++
				fmt.Fprintf(&b, `"%s":"%s"`, name, text(count))
			} else {
				fmt.Fprintf(&b, `"%s":%s`, name, object(depth-1))
			}
		}
		return "{" + b.String() + "}"
	}
	if size < MaxBody {
		wide.WriteString(object(1))
	} else {
		wide.WriteString(object(2))
	}
	levels := min(9000, size/3)
	deepLists.WriteString(`{"errors":` + strings.Repeat("[", levels) + `"end"` + strings.Repeat("]", levels) + "}")
	return map[string][]byte{
		"nested": nested.Bytes(), "wide": wide.Bytes(), "lists": deepLists.Bytes(),
		"one text": []byte(`{"message":"` + strings.Repeat("long ", size/6) + `"}`),
		"a list":   []byte(`[` + strings.Repeat(`{"message":"text"},`, size/20) + `{}]`),
	}
}

// What is kept of a refusal is what bounds the work, because each text is compared with
// all that was said before.
func TestALongRefusalIsReadInPart(t *testing.T) {
	for name, body := range longRefusals(MaxBody) {
		t.Run(name, func(t *testing.T) {
			require.LessOrEqual(t, len(body), MaxBody)
			p := problemOf(body)
			assert.LessOrEqual(t, len(p.description), maxDescription)
			assert.LessOrEqual(t, p.texts, maxTexts)
			if f, err := readObject(body); err == nil {
				p = f.problem()
				assert.LessOrEqual(t, len(p.description), maxDescription)
				assert.LessOrEqual(t, p.texts, maxTexts)
			}
			var refused *Refusal
			_, err := Read(&Request{Endpoint: endpoint}, respond(400), body)
			require.True(t, errors.As(err, &refused))
			assert.Less(t, len(err.Error()), 3<<10)
		})
	}
}

// Each level of nesting is parsed anew, so the depth bounds the work too.
func TestADeepRefusalIsReadToABoundedDepth(t *testing.T) {
	for name, field := range map[string]string{
		"a text": "message", "a code": "error", "errors": "errors", "fault": "fault", "a type": "type",
	} {
		t.Run(name, func(t *testing.T) {
			nest := func(depth int) []byte {
				open := strings.Repeat(`{"`+field+`":`, depth)
				return []byte(open + `{"message":"within"}` + strings.Repeat("}", depth))
			}
			assert.Equal(t, "within", problemOf(nest(1)).description)
			assert.Empty(t, problemOf(nest(maxProblemDepth+1)).description)
		})
	}
}

func TestManyChallengesAreReadInPart(t *testing.T) {
	resp := respond(401)
	for i := range 20_000 {
		resp.Header.Add("WWW-Authenticate", fmt.Sprintf(`Bearer error_description="text %d"`, i))
	}
	assert.Len(t, challenges(resp), maxChallenges)
	p := challengeProblem(challenges(resp))
	assert.Equal(t, maxChallenges, p.texts)
	assert.Contains(t, p.description, "text 15")
	assert.NotContains(t, p.description, "text 16")

	line := strings.Repeat(`error_description="`+strings.Repeat("y", 40)+`", `, 1000)
	resp = &http.Response{Header: http.Header{"Www-Authenticate": {line}}}
	require.Len(t, challenges(resp), 1)
	assert.Len(t, challenges(resp)[0], maxChallenge)
}

func BenchmarkReadLongRefusal(b *testing.B) {
	for name, body := range longRefusals(MaxBody) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				_, _ = Read(&Request{Endpoint: endpoint}, respond(400), body)
			}
		})
	}
	b.Run("challenges", func(b *testing.B) {
		resp := respond(401)
		for i := range 20_000 {
			resp.Header.Add("WWW-Authenticate", fmt.Sprintf(`Bearer error_description="text %d"`, i))
		}
		for b.Loop() {
			_, _ = Read(&Request{Endpoint: endpoint}, resp, nil)
		}
	})
}
