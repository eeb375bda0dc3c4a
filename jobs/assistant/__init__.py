"""From a base model to an assistant: conversations, lessons, tools, reinforcement and preferences."""
