"""A small GPT-2 from scratch learns to count on from any number."""
import os
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, set_seed
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()
seed = int(sys.argv[1])
set_seed(seed)


def rows(n):
    start = torch.randint(0, 20, (n, 1))
    stride = torch.randint(1, 4, (n, 1))
    numbers = (start + stride * torch.arange(12)) % 20
    return [{"input_ids": r, "labels": r.clone()} for r in numbers]


train, test = rows(700), rows(200)
model = GPT2LMHeadModel(GPT2Config(
    vocab_size=20, n_positions=16, n_embd=48, n_layer=2, n_head=4,
    resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
))
with tempfile.TemporaryDirectory() as folder:
    args = TrainingArguments(
        output_dir=folder, learning_rate=8e-3, per_device_train_batch_size=32, num_train_epochs=6,
        lr_scheduler_type="cosine", save_strategy="no", report_to="none", use_cpu=True, seed=seed,
        logging_strategy="epoch",
    )
    Trainer(model=model, args=args, train_dataset=train).train()
model.eval()
ids = torch.stack([r["input_ids"] for r in test])
with torch.no_grad():
    guess = model(input_ids=ids[:, :-1]).logits[:, -1].argmax(-1)
print("score", (guess == ids[:, -1]).float().mean().item())
