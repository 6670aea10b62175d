import nosana_jupyter

questions = ["What is a GPU good at, in one sentence?", "And at what is it not?"]

if model == "tiny":  # A server in place of one, which counts words: to try the way there and back.
    service = nosana_jupyter.serve("tiny", idle=idle, max_cost=cap)
else:
    service = nosana_jupyter.serve(
        "vllm", model, vram=vram or None, replicas=hosts, idle=idle, max_cost=cap
    )

with service:  # It ends with this block. Without one it goes on until nobody asks for so long.
    client = nosana_jupyter.openai(service)
    talk = []
    for question in questions:
        talk.append({"role": "user", "content": question})
        answer = client.chat.completions.create(model=model, messages=talk)
        text = answer.choices[0].message.content
        talk.append({"role": "assistant", "content": text})
        print(f"> {question}\n{text}\n")

print(f"{len(talk) // 2} questions answered; {service.receipts[-1].story}")
