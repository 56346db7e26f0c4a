package main

// rotation is a rotation in time: which certificate is registered, which one signs.
func rotation() *drawing {
	d := &drawing{
		name: "rotation", title: "A rotation in time", width: 900, height: 330,
		description: "The old certificate is registered at the server from before the rotation until its removal, seven " +
			"days after the switch. The new one is made, registered beside the old one and confirmed: tokens are granted for it. " +
			"Until the switch the old one signs, and from then on the new one. At each moment one that is registered signs.",
	}
	const left, made, registered, confirmed, switched, removed, right = 150.0, 250, 350, 450, 560, 780, 876
	for _, step := range []struct {
		x           float64
		name, below string
	}{
		{made, "make", "a new key"},
		{registered, "register", "beside the old"},
		{confirmed, "confirm", "tokens come"},
		{switched, "switch, use", "in the file"},
		{removed, "remove", "7 days later"},
	} {
		d.text(bold, step.x, 34, "middle", step.name)
		d.text(note, step.x, 52, "middle", step.below)
		d.arrow("later", [2]float64{step.x, 60}, [2]float64{step.x, 82})
	}
	bar := func(y, from, to float64, class, content string) {
		r := rect{from, y, to - from, 36}
		d.boxes = append(d.boxes, box{r, class})
		d.texts = append(d.texts, text{from + r.w/2, y + 23, "middle", note, "", content, &r})
	}
	d.text(bold, 24, 112, "start", "Registered")
	bar(88, left, removed, "", "the old certificate")
	bar(132, registered, right, "ours", "the new certificate")
	d.text(bold, 24, 211, "start", "Signs")
	bar(188, left, switched, "", "the old certificate")
	bar(188, switched, right, "ours", "the new certificate")
	d.arrow("", [2]float64{left, 252}, [2]float64{right, 252})
	d.text(note, right, 274, "end", "time")
	d.text(note, left, 298, "start", "Killed at any step, the next run goes on where it was.")
	return d
}
