// A line of JSON in is a job, a line out its result: a token, or what the client
// says went wrong. A job "setup" makes a new client of the library.
import { createInterface } from 'node:readline';

export async function serve(setup) {
  let client;
  for await (const line of createInterface({ input: process.stdin })) {
    const job = JSON.parse(line);
    let result;
    try {
      if (job.op === 'setup') {
        client = await setup(job);
        result = {};
      } else if (client[job.op]) {
        result = { token: await client[job.op](job) };
      } else {
        result = { unsupported: true };
      }
    } catch (error) {
      result = { error: describe(error) };
    }
    process.stdout.write(JSON.stringify(result) + '\n');
  }
}

// describe is what a user of the client can see of an error, causes included.
function describe(error) {
  const parts = [];
  for (let e = error; e && parts.length < 5; e = e.cause) {
    parts.push([e.name, e.errorCode ?? e.code, e.error, e.message, e.error_description].filter(Boolean).join(' '));
  }
  return parts.join('; ');
}
