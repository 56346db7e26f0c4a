# Ruby's half of lines.mjs: jobs by lines of JSON.
require 'json'

def serve
  client = nil
  STDIN.each_line do |line|
    job = JSON.parse(line)
    begin
      if job['op'] == 'setup'
        client, result = yield(job), {}
      elsif client.key?(job['op'])
        result = { token: client[job['op']].call(job) }
      else
        result = { unsupported: true }
      end
    rescue StandardError => e # whatever the client raises is its answer
      result = { error: "#{e.class} #{e.message}" }
    end
    STDOUT.puts(result.to_json)
    STDOUT.flush
  end
end
