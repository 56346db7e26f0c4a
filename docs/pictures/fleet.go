package main

import "fmt"

// fleet is many processes that share tokens by a store.
func fleet() *drawing {
	d := &drawing{
		name: "fleet", title: "Processes that share a token", width: 900, height: 300,
		description: "Four processes have the same store and the same secret. One of them asks the token endpoint and " +
			"puts the token, sealed with the secret, into the store. The others take it from there. A reader of the " +
			"store sees only sealed entries.",
	}
	for i := range 4 {
		class, line := "", "opens it with the secret"
		if i == 0 {
			class, line = "ours", "seals with the secret"
		}
		y := 20 + float64(i)*66
		d.box(class, rect{24, y, 210, 50}, fmt.Sprintf("Process %d", i+1), line)
	}
	d.box("server", rect{660, 20, 216, 50}, "Token endpoint", "asked once")
	d.arrow("", [2]float64{234, 35}, [2]float64{658, 35})
	d.text(note, 447, 27, "middle", "one request")
	d.box("", rect{420, 139, 220, 76}, "Store", "Redis, Valkey, your own:", "sealed entries only")
	d.arrow("", [2]float64{234, 55}, [2]float64{530, 55}, [2]float64{530, 137})
	d.text(note, 540, 104, "start", "puts the sealed token")
	for i := 1; i < 4; i++ {
		y := 20 + float64(i)*66 + 25
		d.arrow("", [2]float64{420, 177}, [2]float64{320, 177}, [2]float64{320, y}, [2]float64{236, y})
	}
	d.text(note, 420, 236, "start", "the others take it from there")
	return d
}
